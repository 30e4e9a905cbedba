"""The rules without a weight-like memory against torch's GRU and RecurrentGemma's RG-LRU (transformers).

B sequences, T time, H heads, V channels; U are the V channels before.
"""

import pytest
import torch
from plures_kernels import RULES

B, T, H, V = 3, 20, 2, 16
CLOSE = {"rtol": 1e-4, "atol": 1e-5}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_each_head_of_a_gru_is_one_of_torchs(draw_inputs, draw_state, dtype):
    rule = RULES["gru"]
    inputs, state = draw_inputs(rule, B, T, H=H, V=V, dtype=dtype), draw_state(rule, B, H=H, V=V, dtype=dtype)
    y, last = rule.scan(inputs, state)
    *tokens, w_reset, w_update, w_candidate, bias = inputs
    for h in range(H):
        # Ours are given the products of the token; theirs multiply it with one here.
        gru = torch.nn.GRU(3 * V, V, batch_first=True, dtype=dtype)
        with torch.no_grad():
            gru.weight_ih_l0.copy_(torch.eye(3 * V))
            gru.weight_hh_l0.copy_(torch.cat([w_reset[h], w_update[h], w_candidate[h]]))
            gru.bias_ih_l0.zero_()
            gru.bias_hh_l0.copy_(torch.cat([torch.zeros(2 * V), bias[h]]))
            y_theirs, last_theirs = gru(torch.cat([x[:, :, h] for x in tokens], dim=-1), state[None, :, h].contiguous())
        torch.testing.assert_close(y[:, :, h], y_theirs, **CLOSE)
        torch.testing.assert_close(last[:, h], last_theirs[0], **CLOSE)


def test_an_ssm_is_recurrent_gemmas_behind_its_gates(load, draw_inputs, draw_state):
    rule = RULES["ssm"]
    (x, _, _, decay), state = draw_inputs(rule, B, T, H=H, V=V), draw_state(rule, B, H=H, V=V)
    config = load("transformers").RecurrentGemmaConfig(lru_width=H * V, num_attention_heads=H)
    unit = load("transformers.models.recurrent_gemma.modeling_recurrent_gemma").RecurrentGemmaRglru(config)
    for weight in unit.parameters():
        torch.nn.init.normal_(weight, std=0.5)

    def gate(weight_HUV, bias_HV):
        """Ours are given the gates; theirs make them of the token."""
        return torch.sigmoid(torch.einsum("bthu,huv->bthv", x, weight_HUV) + bias_HV)

    with torch.no_grad():
        # softplus of theirs is −log σ of ours.
        unit.recurrent_param.copy_(-decay.flatten())
        unit.recurrent_states = state.flatten(1)
        recurrence = gate(unit.recurrent_gate_weight, unit.recurrent_gate_bias)
        y, last = rule.scan([x, recurrence, gate(unit.input_gate_weight, unit.input_gate_bias), decay], state)
        # Position 0 would start anew.
        y_theirs = unit(x.flatten(2), torch.arange(1, T + 1).expand(B, -1))
    torch.testing.assert_close(y.flatten(2), y_theirs, **CLOSE)
    torch.testing.assert_close(last.flatten(1), unit.recurrent_states, **CLOSE)
