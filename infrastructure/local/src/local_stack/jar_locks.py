"""Resolves the components' jars again and writes their locks.

`make lock` runs it: `python -m local_stack.jar_locks`.
"""

from local_stack import jars
from local_stack.components import components

if __name__ == "__main__":
    for component in components().values():
        for lock in component.jars:
            if lock.endpoint:
                jars.write(lock)
