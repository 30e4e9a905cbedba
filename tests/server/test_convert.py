"""Between wire messages and arrays: what a message says about sizes is not trusted."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from plures.v1 import tensor_pb2 as pb
from plures_server.errors import InvalidArgument
from plures_server.rpc.convert import array_from, ordinals_from, tensor_to, torch_from, typed_array

DTYPES = ["<u1", "<i4", "<u4", "<i8", "<u8", "<f4"]


@given(st.sampled_from(DTYPES).flatmap(lambda dtype: arrays(dtype, array_shapes(min_dims=0, min_side=0))))
def test_an_array_comes_back_bit_for_bit(array: np.ndarray) -> None:
    message = pb.Tensor.FromString(tensor_to(array).SerializeToString())
    back = array_from(message, "reward")
    assert (back.dtype, back.shape, back.tobytes()) == (array.dtype, array.shape, array.tobytes())
    assert torch_from(message, "reward").numpy().tobytes() == array.tobytes()


def test_arrays_travel_little_endian_and_row_by_row() -> None:
    big_endian_columns = np.array([[1, 2], [3, 4]], ">i4").T
    assert tensor_to(big_endian_columns).data == bytes([1, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0, 4, 0, 0, 0])


F, N = pb.DATA_TYPE_FLOAT32, pb.DATA_TYPE_INT32


@pytest.mark.parametrize(
    ("tensor", "said"),
    [
        (pb.Tensor(), "reward has data_type 0; known: DATA_TYPE_UINT8, "),
        (pb.Tensor(data_type=99, shape=[0]), "reward has data_type 99"),
        (pb.Tensor(data_type=F, shape=[2], data=bytes(7)), "takes 8 bytes, not 7"),
        (pb.Tensor(data_type=F, shape=[2], data=bytes(12)), "takes 8 bytes, not 12"),
        (pb.Tensor(data_type=F, data=bytes(8)), "takes 4 bytes, not 8"),
        (pb.Tensor(data_type=F, shape=[-1], data=bytes(4)), r"reward has shape [-1]"),
        (pb.Tensor(data_type=F, shape=[-1, -1], data=bytes(4)), r"reward has shape [-1, -1]"),
        (pb.Tensor(data_type=F, shape=[1] * 9, data=bytes(4)), "axes at most 8"),
        (pb.Tensor(data_type=F, shape=[1] * 100_000, data=bytes(4)), "axes at most 8"),
        (pb.Tensor(data_type=F, shape=[2**62], data=bytes(4)), "takes 18,446,744,073,709,551,616 bytes, not 4"),
        (pb.Tensor(data_type=F, shape=[2**62, 4], data=b""), "bytes, not 0"),
        (pb.Tensor(data_type=F, shape=[2**31, 2**31, 2**31, 2**31], data=b""), "bytes, not 0"),
        (pb.Tensor(data_type=F, shape=[0, 2**62], data=b""), "reward has shape [0, 4611686018427387904]"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_tensor_that_contradicts_itself_is_refused(tensor: pb.Tensor, said: str) -> None:
    for take in (array_from, torch_from):
        with pytest.raises(InvalidArgument) as refused:
            take(tensor, "reward")
        assert said in str(refused.value)
        assert len(str(refused.value)) < 300


def test_another_type_or_rank_is_refused() -> None:
    tensor = tensor_to(np.zeros((2, 3), np.float32))
    assert typed_array(tensor, "reward", F, axes=2).shape == (2, 3)
    for data_type, axes in ((F, 1), (N, 2)):
        with pytest.raises(InvalidArgument, match=r"reward is DATA_TYPE_FLOAT32 \[2, 3\], wanted is DATA_TYPE_"):
            typed_array(tensor, "reward", data_type, axes)


def test_ordinals_are_a_range_a_list_or_all() -> None:
    assert ordinals_from(pb.Ordinals()) is None
    assert ordinals_from(pb.Ordinals(range=pb.OrdinalRange(first=3, count=2))).tolist() == [3, 4]
    assert ordinals_from(pb.Ordinals(range=pb.OrdinalRange(first=2**32 - 1, count=1))).tolist() == [2**32 - 1]
    assert ordinals_from(pb.Ordinals(range=pb.OrdinalRange())).tolist() == []
    assert ordinals_from(pb.Ordinals(packed=np.array([7, 2**32 - 1], "<u4").tobytes())).tolist() == [7, 2**32 - 1]
    assert ordinals_from(pb.Ordinals(packed=b"")).tolist() == []


@pytest.mark.parametrize(
    ("ordinals", "said"),
    [
        (pb.Ordinals(packed=bytes(3)), "3 bytes are no whole number"),
        (pb.Ordinals(range=pb.OrdinalRange(first=2**32 - 1, count=2)), "beyond 32 bits"),
        (
            pb.Ordinals(range=pb.OrdinalRange(count=2**32 - 1)),
            "4,294,967,295 agents are too many for one request; select at most 16,777,216",
        ),
    ],
    ids=["three bytes", "beyond 32 bits", "all numbers"],
)
def test_ordinals_that_make_no_sense_are_refused(ordinals: pb.Ordinals, said: str) -> None:
    with pytest.raises(InvalidArgument, match=said):
        ordinals_from(ordinals)
