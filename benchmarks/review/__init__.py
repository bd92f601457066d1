"""Review at scale: a store of a million pairs, and many reviewers at one app."""
