"""One token for each of some agents that have a history: our engine beside vLLM, on one student, in one run.

vLLM is asked in four ways: the history sent again, the same with prefix caching, named state, and named state that is
on the disk after each step. Run by `make bench-vllm`, in the environment of `make vllm`.
"""

if __name__ == "__main__":
    # Here, since vLLM's workers import this file before they can bear numba.
    from vllm_contest import main

    main()
