"""The request of a finished study, made again from its manifest, and the proof that it is the same.

What a user passed as an object, such as a metric of his own, is not in a manifest; such studies are
refused in a sentence.
"""

import json
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from hormesis.analysis.scores import plain_scoring
from hormesis.data.evaluation import Evaluation
from hormesis.errors import DataError, HormesisError, ModelError, SettingError, StudyError
from hormesis.measure.study_plan import StudyPlan
from hormesis.measure.study_writer import study_identity
from hormesis.results.study import Study
from hormesis.settings.attacks import ATTACKS, FGSM, PAIRED, Evaluated, Given, NoAttack
from hormesis.settings.choices import METRICS
from hormesis.settings.execution import Execution
from hormesis.settings.request import AnalysisRequest
from hormesis.settings.scoring import Scoring
from hormesis.settings.sweep import Sweep
from hormesis.settings.targets import Targets
from hormesis.storage.differences import first_difference
from hormesis.storage.validation import plain_values


def request_again(
    study: Study, execution: Execution, data: object, stressed: object = None
) -> AnalysisRequest:
    """Return the request that made a study, its magnitude as it was asked for.

    Args:
        study: A finished study of filters.
        execution: How to measure now.
        data: Its data; an ``Evaluation`` measures and stresses by itself.
        stressed: Its second data set, if that was the stress.

    Raises:
        StudyError: If it measured with a function that no manifest holds.
        SettingError: If its second data set is not passed.
    """
    question = study.manifest["question"]
    evaluated = isinstance(data, Evaluation)
    attack = question["attack"]
    if attack["name"] == Given.name and stressed is None:
        raise SettingError(
            f"Expected `stressed`, the second data set of the study, {attack['data']}; got none."
        )
    performance, loss = question["performance"]["name"], attack.get("loss")
    try:
        return AnalysisRequest(
            attack=FGSM() if evaluated else _attack(attack),
            targets=_targets(question["targets"]),
            sweep=_sweep(question["sweep"]),
            scoring=Scoring(**question["until"]) if question.get("until") else study.scoring,
            metric=AnalysisRequest.metric if evaluated else _metric(performance),
            execution=execution,
            name=question["network"]["name"],
            loss=loss,
            output=question["network"].get("output"),
            stressed_data=stressed if attack["name"] == Given.name else None,
            pairing=attack.get("pairing", PAIRED),
        )
    except SettingError as error:
        raise StudyError(f"The study cannot be measured again: {error}") from error


def _metric(name: str) -> str:
    if name in METRICS:
        return name
    raise StudyError(
        f"The study measured {name!r}, which is not one of the package's metrics: register it with "
        "`hormesis.stress.metrics.register_metric`, so that it has a name."
    )


def _attack(entry: Mapping[str, Any]) -> Any:  # noqa: ANN401
    """Return the attack that an entry of a manifest describes."""
    name = entry["name"]
    if name in (NoAttack.name, Given.name):
        return NoAttack()
    if name not in ATTACKS or entry.get("function"):
        what = "an evaluation" if name == Evaluated.name else f"the attack {name!r}"
        raise StudyError(
            f"The study was made with {what}, which its manifest cannot name: analyse with FGSM or "
            "PGD to apply what it finds."
        )
    known = {field.name for field in fields(ATTACKS[name])}
    return ATTACKS[name](**{key: value for key, value in entry.items() if key in known})


def _targets(entry: Mapping[str, Any]) -> Targets:
    groups = entry.get("groups", {})
    return Targets(
        include=tuple(entry["include"]),
        exclude=tuple(entry["exclude"]),
        kinds=None if entry["kinds"] is None else tuple(entry["kinds"]),
        scope=entry["scope"],
        per=entry["per"],
        groups=groups if isinstance(groups, Mapping) else tuple(groups),
    )


def _sweep(entry: Mapping[str, Any]) -> Sweep:
    given = {("by" if name == "compare" else name): value for name, value in entry.items()}
    lists = {name: tuple(value) for name, value in given.items() if isinstance(value, list)}
    return Sweep(**{**given, **lists})


def planned_again(study: Study, planned: StudyPlan, where: str) -> StudyPlan:
    """Return a plan with the attack as the study ran it, after a check that it is that study's.

    Args:
        study: The study.
        planned: What ``request_again`` asks for, of the network and the data given.
        where: Where the network comes from, for a message.

    Raises:
        ModelError: If the network is another one.
        DataError: If the data are others.
        StudyError: If anything else differs.
    """
    _check_question(study, json.loads(json.dumps(plain_values(planned.question))), where)
    if study.metadata.attack.scaled:
        attack = replace(planned.request.attack, epsilon=study.metadata.attack.epsilon)
        planned = planned.with_attack(attack)
    magnitude = {"epsilon": study.manifest["attack"].get("epsilon")}
    keys = [removal.key() for removal in planned.plan.removals]
    if study.metadata.study not in ("", study_identity(planned.question, magnitude, keys)):
        raise StudyError(
            "The study was made by another version of hormesis, which zeroed other values: analyse "
            "the network again."
        )
    return planned


def _check_question(study: Study, asked: Mapping[str, Any], where: str) -> None:
    stored = json.loads(json.dumps(study.manifest["question"]))
    for kind, name in ((ModelError, "network"), (DataError, "data")):
        _check_fingerprint(kind, name, asked, stored, where)
    if stored.get("until") is not None:
        asked = {**asked, "until": plain_scoring(Scoring(**stored["until"]))}
    difference = first_difference(asked, stored)
    if difference:
        raise StudyError(
            f"The study cannot be measured again with this network and these data: {difference}."
        )


def _check_fingerprint(
    kind: type[HormesisError],
    name: str,
    asked: Mapping[str, Any],
    stored: Mapping[str, Any],
    where: str,
) -> None:
    own, recorded = asked[name]["fingerprint"], stored[name]["fingerprint"]
    if own == recorded:
        return
    what = f"another network than {where}" if name == "network" else "other data than these"
    remedy = (
        "name the checkpoint that was analysed"
        if name == "network"
        else "pass the data set that was analysed, whole or the same samples"
    )
    raise kind(
        f"The study is of {what}: its fingerprint is {recorded[:12]}..., of this one "
        f"{own[:12]}...; {remedy}."
    )
