"""Every error that a person can act on. Messages say what failed, the value, and what to do next."""


class LeamlError(Exception):
    """Base of all errors of this library whose message is written for the person at the keyboard."""


class ConfigError(LeamlError):
    """A setting has a value that cannot work."""


class ImportDataError(LeamlError):
    """Data that someone brought cannot be read or does not fit together."""


class StoreError(LeamlError):
    """The workspace's store cannot do what was asked; nothing was changed."""


class StoreLockedError(StoreError):
    """Another process holds the workspace's store."""


class AuditError(LeamlError):
    """The hash chain over the decisions does not hold."""


class UserError(LeamlError):
    """A user cannot be added, changed or found, or may not do what was asked."""


class SnapshotError(LeamlError):
    """A snapshot cannot be written or read, or would break the wall between pool and test."""


class RunError(LeamlError):
    """A background run cannot be started, found, cancelled or resumed."""


class TrainingError(LeamlError):
    """Training cannot go on: the loss or a gradient is not finite, or a checkpoint does not fit."""


class ModelError(LeamlError):
    """A model cannot be loaded, or cannot do what was asked of it."""


class TeacherError(LeamlError):
    """A teacher gives no captions, or too few."""
