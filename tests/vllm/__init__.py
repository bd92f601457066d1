"""vLLM, in an environment of its own, as teacher and sampler: `make test-vllm`."""
