"""numpy arrays on the wire."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from plures.v1.tensor_pb2 import DATA_TYPE_FLOAT32, DATA_TYPE_INT32, DATA_TYPE_UNSPECIFIED, Tensor
from plures_client.errors import DataLoss, InvalidArgument
from plures_client.tensors import DTYPES, decode, encode

ARRAYS = st.sampled_from(list(DTYPES.values())).flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5))
)


@given(ARRAYS)
def test_an_array_survives_the_wire_bit_for_bit(array):
    received = decode(Tensor.FromString(encode(array, array.dtype).SerializeToString()), array.dtype, array.shape)

    assert received.dtype == array.dtype
    assert received.shape == array.shape
    assert received.tobytes() == array.tobytes()


@given(ARRAYS)
def test_a_transposed_array_arrives_in_row_major_order(array):
    turned = array.T

    np.testing.assert_array_equal(decode(encode(turned, turned.dtype), turned.dtype, turned.shape), turned)


@given(st.integers(-(2**40), 2**40))
def test_a_whole_number_is_sent_as_it_is_or_refused(value):
    fits = -(2**31) <= value < 2**31

    if fits:
        assert decode(encode([value], np.int32), np.int32, (1,)).tolist() == [value]
    else:
        with pytest.raises(InvalidArgument, match=str(value)):
            encode([value], np.int32)


def test_what_people_write_is_converted():
    assert decode(encode([True, False], np.uint8), np.uint8, (2,)).tolist() == [1, 0]
    assert decode(encode([1, 2], np.float32), np.float32, (2,)).tolist() == [1.0, 2.0]
    assert decode(encode([], np.uint32), np.uint32, (0,)).tolist() == []
    assert decode(encode(np.array([1, 2], ">i4"), np.int32), np.int32, (2,)).tolist() == [1, 2]


def test_fractions_are_not_taken_for_whole_numbers():
    with pytest.raises(InvalidArgument, match="float64 values given where int32"):
        encode([0.5], np.int32)


@pytest.mark.parametrize(
    ("tensor", "words"),
    [
        (Tensor(data_type=DATA_TYPE_INT32, shape=[1], data=b"1234"), "tensor of int32"),
        (Tensor(data_type=DATA_TYPE_UNSPECIFIED, shape=[1], data=b"1234"), "tensor of None"),
        (Tensor(data_type=DATA_TYPE_FLOAT32, shape=[2], data=b"1234"), "4 bytes"),
        (Tensor(data_type=DATA_TYPE_FLOAT32, shape=[1, 1], data=b"1234"), "shape"),
        (Tensor(data_type=DATA_TYPE_FLOAT32, shape=[-1], data=b""), "shape"),
    ],
)
def test_a_tensor_that_breaks_the_contract_is_not_read(tensor, words):
    with pytest.raises(DataLoss, match=words):
        decode(tensor, np.float32, (None,))


def test_what_arrives_cannot_be_written_to():
    with pytest.raises(ValueError, match="read-only"):
        decode(encode([1.0], np.float32), np.float32, (1,))[0] = 2
