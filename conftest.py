"""Table of contents: which plugins load, in order."""

pytest_plugins = [
    "plugins.options",
    "plugins.capability",
    "plugins.clauses",
    "plugins.waivers",
    "plugins.updating",
    "plugins.benchmark",
    "plugins.verdict",
    "fixtures.artifacts",
    "fixtures.operators",
    "fixtures.subjects",
    "fixtures.backends",
    "fixtures.cases",
    "fixtures.runs",
    "fixtures.recorded",
    "fixtures.exports",
    "fixtures.machine",
    "fixtures.accuracy",
    "fixtures.pipeline",
    "fixtures.timing",
    "fixtures.figures",
]
