"""Gives every module below a directory its bytecode: bytecode.py DIRECTORY EARLIER [OTHER…].

It is checked by the hash of the source (PEP 552) instead of by its time, and names the source by its path below
DIRECTORY, so the same source has the same bytecode wherever and whenever it is compiled. What EARLIER, a directory with
the same modules, has of the same source is copied; it may be empty. Of what lies directly in DIRECTORY, OTHER is left out.
"""

import os
import sys
from importlib.util import MAGIC_NUMBER, cache_from_source, source_hash

CHECKED = MAGIC_NUMBER + (3).to_bytes(4, "little")
# What others make, anywhere.
OTHERS = {".git", "__pycache__", "node_modules", "site-packages"}


def modules(directory, others_on_top):
    for place, directories, files in os.walk(directory):
        others = OTHERS.union(others_on_top if place == directory else [])
        directories[:] = [name for name in directories if name not in others]
        for name in files:
            if name.endswith(".py"):
                yield os.path.relpath(os.path.join(place, name), directory)


def read(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


def compile_one(work):
    directory, earlier, module = work
    source = os.path.join(directory, module)
    target = cache_from_source(source)
    head = CHECKED + source_hash(read(source))
    if read(target)[:16] == head:
        return
    known = read(cache_from_source(os.path.join(earlier, module))) if earlier else b""
    if known[:16] == head:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target + ".new", "wb") as file:
            file.write(known)
        os.replace(target + ".new", target)
    else:
        compile_anew(source, target, module)


def compile_anew(source, target, module):
    # To load it takes longer than most builds need for all their modules, which an earlier one has.
    import py_compile

    try:
        mode = py_compile.PycInvalidationMode.CHECKED_HASH
        py_compile.compile(source, target, module, doraise=True, invalidation_mode=mode)
    # A template of a module, or one for another Python. Whoever imports it learns what is wrong with it.
    except (py_compile.PyCompileError, UnicodeDecodeError, ValueError):
        pass


if __name__ == "__main__":
    directory, earlier, *others_on_top = sys.argv[1:]
    work = [(directory, earlier, module) for module in modules(directory, others_on_top)]
    if len(work) < 50:
        for one in work:
            compile_one(one)
    else:
        from multiprocessing import get_context

        # Whatever way of starting processes is this Python's usual one, the others cannot load what came by -c.
        with get_context("fork").Pool(len(os.sched_getaffinity(0))) as pool:
            pool.map(compile_one, work, chunksize=20)
