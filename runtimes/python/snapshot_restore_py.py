"""Functions to run before a snapshot of this execution environment is made, and after one was restored from it: SnapStart's
runtime hooks, by the names of AWS's package snapshot_restore_py.

See https://docs.aws.amazon.com/lambda/latest/dg/snapstart-runtime-hooks-python.html."""

_before_snapshot = []
_after_restore = []


def register_before_snapshot(func, *args, **kwargs):
    """Have func called before the snapshot, those registered last first. Also a decorator."""
    _before_snapshot.append((func, args, kwargs))
    return func


def register_after_restore(func, *args, **kwargs):
    """Have func called after the restore, in the order of registration. Also a decorator."""
    _after_restore.append((func, args, kwargs))
    return func


def get_before_snapshot():
    return _before_snapshot


def get_after_restore():
    return _after_restore
