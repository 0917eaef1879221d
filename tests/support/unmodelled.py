"""An event type for tests of events without a model.

No provider sends it, so no model will ever cover it. A real type that has no model today may get
one tomorrow, and such a test would then prove nothing.
"""

from typing import Final

UNMODELLED_TYPE: Final = "test.unmodelled"
