"""Agents that vLLM steps, behind the same pool and the same API: a page of an agent is a named state of vLLM's."""
