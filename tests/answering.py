"""What a process of the tests does: `scratchnst.system.child` calls `work`."""

import os
import sys
import time

from scratchnst.system import startup


def work(parent, *arguments):
    print("hello")
    os.system("echo hello")
    while True:
        do, what = parent.receive()
        if do == "sleep":
            time.sleep(what)
        elif do == "exit":
            sys.exit(what)
        elif do == "die once" and not os.path.exists(what):
            open(what, "w").close()
            os._exit(9)
        elif do == "setup":
            parent.send((startup.record() is not None, "numpy" in sys.modules))
        else:
            parent.send((arguments, what))
