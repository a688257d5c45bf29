"""What is taken away from a page: pictures, names by class, links with a picture."""

import ast
import base64
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml
from PIL import Image

import handset
from browser import chromium
from handset import ANTIFRAGILE, FRAGILE, ROBUST
from hormesis.report.html.page import write_report
from hormesis.report.html.preview import SIZE

HOSTILE = '"quoted" </script>\u2028: [x]'
CURVES = {"conv.weight": ANTIFRAGILE, "fc.weight": FRAGILE, "yes": ROBUST, HOSTILE: FRAGILE}
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Path:
    return write_report(handset.study(CURVES), tmp_path_factory.mktemp("page") / "page.html")


@pytest.fixture(scope="module", params=["light", "dark"])
def opened(request, page) -> Iterator[Any]:
    with chromium() as browser:
        sheet = browser.new_page(
            viewport={"width": 1200, "height": 900}, color_scheme=request.param
        )
        sheet.set_default_timeout(15_000)
        wrong: list[str] = []
        sheet.on("pageerror", lambda error: wrong.append(str(error)))
        sheet.on(
            "console",
            lambda message: wrong.append(message.text) if message.type == "error" else None,
        )
        sheet.goto(page.as_uri())
        sheet.wait_for_selector(".save", state="attached")
        yield sheet
        assert wrong == []


def saved(sheet: Any, number: int, kind: str) -> tuple[str, bytes]:
    with sheet.expect_download() as waiting:
        sheet.locator(".save").nth(number).get_by_text(kind, exact=True).click()
    return waiting.value.suggested_filename, Path(waiting.value.path()).read_bytes()


def ground(sheet: Any) -> str:
    return sheet.evaluate("getComputedStyle(document.body).backgroundColor")


def test_every_picture_can_be_saved_and_stands_alone(opened):
    names = set()
    for number in range(opened.locator(".save").count()):
        name, content = saved(opened, number, "SVG")
        names.add(name)
        tree = ElementTree.fromstring(content)
        texts = list(tree.iter(f"{SVG}text"))
        assert texts
        assert all(element.get("font-family") for element in texts if not element.findall("*"))
        back = next(tree.iter(f"{SVG}rect")).get("fill")
        assert back == "rgb(255, 255, 255)" or all(element.get("fill") for element in texts)
        assert tree.findtext(f"{SVG}title", "").startswith("tiny on made up · ")
        assert tree.findtext(f"{SVG}desc")
        assert not re.search(rb"var\(|class=|style=|href=\"[^#d]|url\([^#\"]*//", content)
        assert back in (ground(opened), "rgb(255, 255, 255)")
        shapes = [each for each in tree.iter() if each.tag in (f"{SVG}path", f"{SVG}rect")]
        assert len(shapes) > 2
    assert len(names) == opened.locator(".save").count() == 4


def test_a_png_has_the_size_and_the_colours_of_the_screen(opened):
    element = opened.locator("#answer svg").first
    box = element.bounding_box()
    _, vector = saved(opened, 0, "SVG")
    name, content = saved(opened, 0, "PNG")
    assert name == "tiny-on-made-up-Adversarial-score-of-every-target.png"
    picture = Image.open(io.BytesIO(content)).convert("RGB")
    tree = ElementTree.fromstring(vector)
    assert picture.size == tuple(2 * int(tree.get(side, "0")) for side in ("width", "height"))
    assert picture.width == pytest.approx(2 * (box["width"] + 24), abs=4)
    corner = tuple(map(int, re.findall(r"\d+", ground(opened))))
    assert picture.getpixel((2, 2)) == corner
    fragile = opened.evaluate(
        "getComputedStyle(document.documentElement).getPropertyValue('--fragile')"
    )
    wanted = tuple(bytes.fromhex(fragile.strip().removeprefix("#")))
    assert wanted in {colour for _, colour in picture.getcolors(1 << 20) or ()}


def test_the_names_by_class_are_those_of_the_study(opened, page):
    study = handset.study(CURVES)
    rows = study.scores.query("filter == 'combined' and score == 'adversarial'")
    expected = {name: own["target"].tolist() for name, own in rows.groupby("class")}
    box = opened.locator("#take pre")
    assert yaml.safe_load(box.inner_text()) == expected
    opened.get_by_label("Python lists").check(force=True)
    program = ast.parse(box.inner_text())
    lists = {each.targets[0].id: ast.literal_eval(each.value) for each in program.body}
    assert sorted(lists.values()) == sorted(expected.values())
    assert lists["fragile"] == expected["fragile"]
    opened.locator('#bar input[value="clean"]').check(force=True)
    assert ": clean score" in box.inner_text().splitlines()[0]
    opened.locator('#bar input[value="adversarial"]').check(force=True)
    opened.get_by_label("YAML").check(force=True)


def test_names_are_copied(opened):
    opened.context.grant_permissions(["clipboard-read", "clipboard-write"])
    opened.get_by_role("button", name="Copy the names").click()
    opened.get_by_text("Copied.").wait_for()
    copied = opened.evaluate("navigator.clipboard.readText()")
    assert copied.replace("\r\n", "\n") == opened.locator("#take pre").evaluate(
        "(e) => e.textContent"
    )


def test_buttons_are_large_enough_and_reached_by_keyboard(opened):
    for button in opened.locator(".save button, #take button").all():
        assert button.bounding_box()["height"] >= 24
        button.focus()
        assert button.evaluate("(each) => each === document.activeElement")


def test_a_link_to_the_page_has_a_description_a_picture_and_an_icon(page):
    text = page.read_text(encoding="utf-8")
    (content,) = re.findall(
        r'<meta property="og:image" content="data:image/png;base64,(.*?)">', text
    )
    picture = Image.open(io.BytesIO(base64.b64decode(content)))
    assert picture.size == SIZE
    assert len(picture.convert("RGB").getcolors() or ()) >= 4  # ground, band, and two classes
    assert '<meta property="og:title" content="tiny on made up">' in text
    assert text.count("Of 4 filtered targets: under attack") >= 2
    assert '<link rel="icon" href="data:image/svg+xml,' in text


def test_a_live_page_draws_no_picture_of_a_link(tmp_path):
    path = write_report(handset.study({"a": ROBUST}), tmp_path / "page.html", refresh=5)
    assert "og:image" not in path.read_text(encoding="utf-8")
