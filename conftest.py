"""Table of contents: which plugins load, in order."""

pytest_plugins = [
    "plugins.options",
    "plugins.capability",
    "plugins.clauses",
    "plugins.waivers",
    "plugins.updating",
    "plugins.benchmark",
    "plugins.verdict",
    "fixtures.contracts",
    "fixtures.subjects",
    "fixtures.backends",
    "fixtures.cases",
    "fixtures.artifacts",
    "fixtures.recorded",
    "fixtures.figures",
]
