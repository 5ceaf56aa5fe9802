"""A real headless Chromium, controlled by the DevTools protocol over two pipes."""

import base64
import contextlib
import fcntl
import json
import os
import re
import select
import shutil
import subprocess
import time

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
# Ends what hangs; no test asks how fast the machine is by it.
DEADLINE = 120
OPTIONS = (
    "--headless=new", "--remote-debugging-pipe", "--no-first-run", "--disable-gpu",
    "--no-sandbox",  # of containers, where tests run as root
    "--disable-dev-shm-usage", "--hide-scrollbars", "--disable-background-networking",
    "--mute-audio", "--force-device-scale-factor=1",
)  # fmt: skip
# Chromium reads commands from this descriptor and writes answers to the next one.
COMMANDS, ANSWERS = 3, 4


class Browser:
    """One browser with one page.

    Attributes
    ----------
    complaints : list of str
        What the console said as an error or a warning, uncaught exceptions and refused requests.
    requests : list of str
        Every address that was asked for.
    """

    def __init__(self, folder):
        self.complaints, self.requests = [], []
        self._number, self._rest, self._session = 0, b"", None
        # Not among the standard descriptors, nor the two that the child's ends are moved to.
        theirs_in, self._out = (_high(end) for end in os.pipe())
        self._in, theirs_out = (_high(end) for end in os.pipe())

        def place():
            os.dup2(theirs_in, COMMANDS)
            os.dup2(theirs_out, ANSWERS)

        self._process = subprocess.Popen(
            [CHROMIUM, *OPTIONS, f"--user-data-dir={folder}", "about:blank"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            preexec_fn=place, pass_fds=(COMMANDS, ANSWERS),
        )  # fmt: skip
        os.close(theirs_in)
        os.close(theirs_out)
        pages = self.call("Target.getTargets")["targetInfos"]
        target = next(page["targetId"] for page in pages if page["type"] == "page")
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def close(self):
        """End the browser."""
        with contextlib.suppress(OSError):
            self.call("Browser.close")
        self._process.wait(DEADLINE)
        os.close(self._in)
        os.close(self._out)

    def call(self, method, **parameters):
        """Call a method of the protocol; return its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None and not method.startswith("Browser."):
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        number = self._number
        while True:
            answer = self._read()
            if answer.get("id") == number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]
            self._hear(answer)

    def _read(self):
        deadline = time.monotonic() + DEADLINE
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._in], [], [], deadline - time.monotonic())
            assert ready, "the browser does not answer"
            more = os.read(self._in, 1 << 20)
            if not more:
                raise OSError("the browser has ended")
            self._rest += more
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)

    def _hear(self, event):
        said, parameters = event.get("method"), event.get("params", {})
        if said == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(parameters["exceptionDetails"]))
        elif said == "Runtime.consoleAPICalled" and parameters["type"] in ("error", "warning"):
            self.complaints.append(json.dumps(parameters["args"]))
        elif said == "Log.entryAdded" and parameters["entry"]["level"] in ("error", "warning"):
            self.complaints.append(parameters["entry"]["text"])
        elif said == "Network.requestWillBeSent":
            self.requests.append(parameters["request"]["url"])

    # --- a page ----------------------------------------------------------------------------------

    def size(self, width, height=1400, *, mobile=False):
        """Set the width of the window, with touch and a phone's viewport if it is mobile."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=mobile,
        )  # fmt: skip
        self.call("Emulation.setTouchEmulationEnabled", enabled=mobile)

    def open(self, page, address=""):
        """Open a file of this machine, leaving the page before; wait until it is ready."""
        self.call("Page.navigate", url="about:blank")
        self.complaints.clear()
        self.requests.clear()
        self.call("Page.navigate", url=page.absolute().as_uri() + address)
        self.wait("document.documentElement?.dataset.ready === 'true'")

    def run(self, expression):
        """Return the value of a JavaScript expression, or of its promise."""
        found = self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def wait(self, condition):
        """Wait until an expression is true."""
        deadline = time.monotonic() + DEADLINE
        while not self.run(condition):
            assert time.monotonic() < deadline, f"never true: {condition}"
            assert not self.complaints, self.complaints
            time.sleep(0.02)

    def text(self, selector):
        """Return the text of an element."""
        return self.run(f"document.querySelector({json.dumps(selector)}).innerText")

    def choose(self, name, value):
        """Choose an entry of a list, or set a checkbox if the value is a bool."""
        control = f"document.getElementById('controls').elements[{json.dumps(name)}]"
        key = "checked" if isinstance(value, bool) else "value"
        self.run(
            f"{control}.{key} = {json.dumps(value)}; {control}.dispatchEvent(new Event('change'))"
        )

    def mouse(self, kind, x, y, *, held=False):
        """Send a mouse event: mouseMoved, mousePressed or mouseReleased."""
        button = "left" if held or kind != "mouseMoved" else "none"
        clicks = 0 if kind == "mouseMoved" else 1
        self.call(
            "Input.dispatchMouseEvent",
            type=kind, x=x, y=y, button=button, buttons=int(held), clickCount=clicks,
        )  # fmt: skip

    def key(self, name):
        """Press and release a key."""
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=name, code=name)

    def printed_pages(self):
        """Return the number of A4 sheets of the printed page."""
        pdf = self.call("Page.printToPDF", paperWidth=8.27, paperHeight=11.69)["data"]
        return len(re.findall(rb"/Type /Page\b", base64.b64decode(pdf)))

    def screenshot(self, path, *, whole=False):
        """Write the contents of the window, or the whole page, as PNG."""
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(shot["data"]))


def _high(descriptor):
    moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 10)
    os.close(descriptor)
    return moved
