"""Vision-language models of any family: loading, the frozen tower's features, chat formats, decoding."""
