"""Dynamo: the inventory of a fleet that many servers hold in memory, and programs that may change it.

The sources lie in `lib`, as users of the system expect (`dynamo/lib/web/modules/mymod.py` is the web module
`mymod`), and are imported without it: `dynamo.core.inventory`, `dynamo.dataformat`.  Pointing the package's
search path there works alike in a source tree, in an editable install and in a wheel.
"""

import os

__path__ = [os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib")]
