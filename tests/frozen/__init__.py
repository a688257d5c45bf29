"""What the code of November 2026 measured and computed, committed, so that it stays so.

``given`` holds the networks and samples, ``subject`` makes them usable, ``cases`` is all that is
asked of the package, ``tables`` writes and compares, ``make`` has made the rest:

    studies      folders as they were written, one a case, and one each of the older formats
    series       the same of two epochs of ``training``, a finished run without its resumable state
    retraining   a finished retraining with controls
    tables       scores by many scorings, comparisons, and whatever else is computed when read
"""
