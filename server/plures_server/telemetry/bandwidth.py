"""What the memory that states lie in can give: the measure of how good steps are."""

import time

import torch

BYTES = 64 << 20


def memory_bandwidth(device: torch.device, seconds: float = 0.1) -> float:
    """Bytes a second, read and written, by the best of several passes over much memory."""
    data = torch.ones(BYTES // 4, device=device)
    data.mul_(1.0)
    best, until = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < until:
        _wait(device)
        began = time.perf_counter()
        data.mul_(1.0)
        _wait(device)
        best = min(best, time.perf_counter() - began)
    return 2 * BYTES / best


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
