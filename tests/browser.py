"""Opens pages in a headless Chromium (Qt WebEngine): python browser.py JOB.json prints JSON.

A job is {"page", "width", "dark", "script", "picture"}; printed are the value of the script and
what the page wrote to its console. It runs in .venv-browser (requirements/browser.txt), not in pytest.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

HEIGHT, SETTLE_MS = 900, 300


def opened(job: dict) -> dict:
    """One page in a window of its width; a process each, for the colour scheme is decided once."""
    from PyQt6.QtCore import QTimer, QUrl
    from PyQt6.QtWebEngineCore import QWebEnginePage
    from PyQt6.QtWebEngineWidgets import QWebEngineView
    from PyQt6.QtWidgets import QApplication

    said: list = []

    class Page(QWebEnginePage):
        def javaScriptConsoleMessage(self, level, message, line, source):  # noqa: N802
            said.append(message)

    application = QApplication(sys.argv[:1])
    view = QWebEngineView()
    page = Page(view)
    view.setPage(page)
    view.resize(job["width"], HEIGHT)
    view.show()
    found: dict = {}

    def end(value: object) -> None:
        found["value"] = value
        if job.get("picture"):
            view.grab().save(job["picture"])
        application.quit()

    def ask(loaded: bool) -> None:
        found["loaded"] = loaded
        QTimer.singleShot(SETTLE_MS, lambda: page.runJavaScript(job["script"], end))

    view.loadFinished.connect(ask)
    view.load(QUrl.fromLocalFile(os.path.abspath(job["page"])))
    application.exec()
    return {**found, "console": said}


def main() -> None:
    """Run the one job of a file, and print what came of it."""
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    scheme = 0 if job["dark"] else 1
    os.environ["QTWEBENGINE_CHROMIUM_FLAGS"] = " ".join(
        [
            *("--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
            f"--blink-settings=preferredColorScheme={scheme}",
        ]
    )
    print(json.dumps(opened(job)))


if __name__ == "__main__":
    main()
