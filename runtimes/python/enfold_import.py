"""Importing with fewer system calls than the interpreter makes.

Each costs microseconds in a cold start, and where a kernel in user space answers it some tens of them.
"""

import _frozen_importlib_external as external
import os
import sys

SMALL, LARGE = 1 << 13, 1 << 20


def names_in(directory):
    """What os.listdir answers. The import system then need not read the directory again, unless it changes."""
    finder = sys.path_importer_cache.get(directory)
    if not hasattr(finder, "_fill_cache") or not hasattr(finder, "_path_mtime"):
        return os.listdir(directory)
    changed = os.stat(directory).st_mtime
    finder._fill_cache()
    finder._path_mtime = changed
    return finder._path_cache


def quicken(read_only):
    """Read modules below some directories, names that end with a slash, at once; and do not try to store their bytecode there."""
    get_data = external.FileLoader.get_data
    cache_bytecode = external.SourceFileLoader._cache_bytecode

    def get_data_at_once(self, path):
        if not str(path).startswith(read_only):
            return get_data(self, path)
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            data = os.read(fd, SMALL)
            if len(data) < SMALL:  # a file that has more says so
                return data
            parts = [data]
            while parts[-1]:
                parts.append(os.read(fd, LARGE))
            return b"".join(parts)
        finally:
            os.close(fd)

    def cache_bytecode_elsewhere(self, source_path, bytecode_path, data):
        if not source_path.startswith(read_only):
            cache_bytecode(self, source_path, bytecode_path, data)

    external.FileLoader.get_data = get_data_at_once
    external.SourceFileLoader._cache_bytecode = cache_bytecode_elsewhere
