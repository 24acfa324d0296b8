"""Input projectors that change the number of tokens, against vectors of the original implementations and transformers."""

import math
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from anygen.errors import AnyGenError
from anygen.projectors import InputProjectorConfig, build_input_projector
from anygen.projectors.merging import pool_space_time, space_to_depth
from anygen.projectors.perceiver import PerceiverResampler

ORACLES = Path(__file__).resolve().parents[3] / "shared" / "oracles" / "seed_oracles.safetensors"
with_oracles = pytest.mark.skipif(
    not ORACLES.exists(), reason="the oracle vectors lie beside the repository, not in it"
)


def oracle(module: str) -> tuple[dict, dict]:
    """(weights by their original keys, inputs and outputs)."""
    with safe_open(ORACLES, "pt") as file:
        tensors = {
            key.removeprefix(f"{module}/"): file.get_tensor(key) for key in file.keys() if key.startswith(f"{module}/")
        }
    weights = {key.removeprefix("weight/"): value for key, value in tensors.items() if key.startswith("weight/")}
    return weights, tensors


def build(name: str, *, in_dim: int = 8, out_dim: int = 10, **settings):
    torch.manual_seed(0)
    return build_input_projector(InputProjectorConfig(type=name, **settings), in_dim=in_dim, out_dim=out_dim).eval()


def close(found, expected, atol=1e-5):
    torch.testing.assert_close(found, expected, rtol=0, atol=atol)


@with_oracles
@torch.no_grad()
def test_perceiver_equals_openflamingo():
    weights, tensors = oracle("openflamingo_perceiver_resampler")
    config = InputProjectorConfig(type="perceiver", num_queries=3, num_layers=2, num_heads=2, head_dim=8)
    resampler = PerceiverResampler(config, dim=16)
    resampler.load_state_dict(weights)
    close(resampler(tensors["input/x"][0].flatten(1, 2)), tensors["output/y"][0])


def identity_qformer(weights: dict, *, vocab_size: int | None):
    """Our projector with the oracle's Q-Former (16 wide, 2 layers, encoder 12 wide) and nothing after it."""
    module = build(
        "qformer", in_dim=12, out_dim=16, num_queries=3, num_layers=2, num_heads=4, hidden_dim=16, vocab_size=vocab_size
    )
    config = module.qformer.config
    config.intermediate_size, config.max_position_embeddings = 24, 32  # the oracle's own, where ours are BERT's
    module.qformer = type(module.qformer)(config).eval()
    module.language_projection.weight.copy_(torch.eye(16))
    module.language_projection.bias.zero_()
    renamed = {}
    for key, value in weights.items():
        if key.startswith("bert."):
            key = key.removeprefix("bert.").replace("attention.self.", "attention.attention.")
            norm = "layernorm" if vocab_size is None else "embeddings.layernorm"
            renamed[key.replace("embeddings.LayerNorm", norm)] = value
    own = module.qformer.state_dict()
    module.qformer.load_state_dict({key: value for key, value in renamed.items() if key in own})
    return module


@with_oracles
@torch.no_grad()
def test_qformer_equals_lavis():
    weights, tensors = oracle("blip2_qformer")
    for item in range(2):
        image = tensors["input/image"][item : item + 1]
        for vocab_size in (None, 29):
            module = identity_qformer(weights, vocab_size=vocab_size)
            module.query_tokens.copy_(tensors["input/query"][item : item + 1])
            close(module(image)[0], tensors["output/query_only"][item])
        words = {
            "instruction_ids": tensors["input/input_ids"][item : item + 1],
            "instruction_mask": tensors["input/attention_mask"][item : item + 1],
        }
        close(module(image, **words)[0], tensors["output/query_and_text"][item, :3])


@torch.no_grad()
def test_instructions_change_what_a_qformer_reads_and_their_padding_does_not():
    module = build("qformer", num_queries=2, vocab_size=20)
    features, words = torch.randn(1, 5, 8), torch.tensor([[3, 4, 5]])
    told = module(features, instruction_ids=words)
    assert told.shape == (1, 2, 10) and not torch.allclose(told, module(features), atol=1e-4)
    padded = module(
        features, instruction_ids=torch.tensor([[3, 4, 5, 9]]), instruction_mask=torch.tensor([[1, 1, 1, 0]])
    )
    close(padded, told, atol=1e-6)
    with pytest.raises(AnyGenError, match="reads no instruction"):
        build("qformer", num_queries=2)(features, instruction_ids=words)


@torch.no_grad()
def test_qformer_is_the_one_inside_blip2():
    import transformers

    qformer = transformers.Blip2QFormerConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64, encoder_hidden_size=8
    )
    vision = transformers.Blip2VisionConfig(
        hidden_size=8, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=8, patch_size=4
    )
    text = transformers.OPTConfig(
        vocab_size=20, hidden_size=10, num_hidden_layers=1, num_attention_heads=2, ffn_dim=16, word_embed_proj_dim=10
    )
    config = transformers.Blip2Config(
        vision_config=vision.to_dict(), qformer_config=qformer.to_dict(), text_config=text.to_dict(), num_query_tokens=3
    )
    blip2 = transformers.Blip2ForConditionalGeneration(config).eval()
    blip2.query_tokens.normal_()
    module = build("qformer", num_queries=3, num_layers=2, num_heads=4, hidden_dim=16)
    names = ("query_tokens", "qformer.", "language_projection.")
    module.load_state_dict({key: value for key, value in blip2.state_dict().items() if key.startswith(names)})
    pixels = torch.randn(2, 3, 8, 8)
    features = blip2.vision_model(pixels).last_hidden_state
    close(module(features), blip2.get_image_features(pixels, return_dict=True).pooler_output)


@with_oracles
@torch.no_grad()
def test_cross_attention_equals_qwen_vl():
    weights, tensors = oracle("qwen_vl_resampler")
    module = build("cross_attention", in_dim=12, out_dim=16, num_queries=4, num_heads=4)
    missing = module.load_state_dict(weights, strict=False)
    assert set(missing.missing_keys) == {"ln_post.weight", "ln_post.bias", "proj"} and not missing.unexpected_keys
    for norm in (module.ln_q, module.ln_kv):
        norm.eps = 1e-5  # the oracle's; the model builds its resampler with 1e-6
    close(module.read(tensors["input/x"], 4, 4), tensors["output/y"])


@torch.no_grad()
def test_cross_attention_reads_each_picture_with_its_places():
    module = build("cross_attention", out_dim=12, num_queries=4, grid=(2, 3))
    features = torch.randn(1, 12, 8)
    both = module(features)
    assert both.shape == (1, module.num_tokens(12), 12) and module.num_tokens(12) == 8
    close(both[:, 4:], module(features[:, 6:]), atol=1e-6)
    assert not torch.allclose(module(features[:, :6].flip(1)), module(features[:, :6]), atol=1e-4)
    rows, columns = module.pos_embed[2], module.pos_embed[1]  # (row 1, column 0), (row 0, column 1)
    assert torch.equal(rows[:6], module.pos_embed[0, :6]) and torch.equal(columns[6:], module.pos_embed[0, 6:])


@with_oracles
@torch.no_grad()
def test_convolution_equals_mobilevlm_v2():
    weights, tensors = oracle("mobilevlm_ldpv2")
    module = build("convolution", in_dim=12, out_dim=16)
    module.load_state_dict({key.replace("mlp.mlp", "mlp").replace("peg.peg.0", "peg"): w for key, w in weights.items()})
    close(module(tensors["input/x"]), tensors["output/y"])
    frames = torch.cat([tensors["input/x"], tensors["input/x"].flip(1)], dim=1)
    of_film = build("convolution", in_dim=12, out_dim=16, grid=(24, 24))
    of_film.load_state_dict(module.state_dict())
    close(of_film(frames)[:, 144:], module(frames[:, 576:]))


@with_oracles
def test_pixel_shuffle_equals_vila():
    _, tensors = oracle("vila_downsample_2x2")
    grid = tensors["input/x"].unflatten(1, (5, 5))
    assert torch.equal(space_to_depth(grid, side=2), tensors["output/y"])


@with_oracles
def test_space_time_pool_equals_video_chatgpt():
    _, tensors = oracle("video_chatgpt_pool")
    found = pool_space_time(tensors["input/x"][None], length=100)[0]
    assert torch.equal(found.half(), tensors["output/y"].half())  # the original gives half precision


@torch.no_grad()
def test_concat_joins_neighbours_in_a_row():
    module = build("concat", merge=4)
    features = torch.randn(2, 12, 8)
    assert module.num_tokens(12) == 3
    close(module(features)[1, 2], module.proj(features[1, 8:12].flatten()), atol=1e-6)


@torch.no_grad()
def test_average_pool_is_the_mean_of_each_square_of_each_frame():
    module = build("average_pool", grid=(3, 4))
    features = torch.randn(2, 24, 8)  # two frames
    assert module.num_tokens(24) == 2 * 2 * 2
    frame = features[1, 12:].unflatten(0, (3, 4))
    close(module(features)[1, 5], module.proj(frame[:2, 2:].mean(dim=(0, 1))), atol=1e-6)
    close(module(features)[1, 6], module.proj(frame[2, :2].mean(dim=0)), atol=1e-6)  # an odd row has no second one


@torch.no_grad()
def test_pixel_shuffle_keeps_frames_apart():
    module = build("pixel_shuffle", grid=(2, 4))
    features = torch.randn(1, 16, 8)
    assert module.num_tokens(16) == 4
    square = features[0, 8:].unflatten(0, (2, 4))[:, 2:]
    close(module(features)[0, 3], module.proj(square.flatten()), atol=1e-6)


@torch.no_grad()
def test_space_time_pool_fills_up_with_zeros():
    module = build("space_time_pool", num_queries=3, grid=(1, 2))
    features = torch.randn(1, 4, 8)
    tokens = module(features)
    assert tokens.shape[1] == module.num_tokens(4) == 5
    close(tokens[0, 1], module.proj(features[0, 2:].mean(dim=0)), atol=1e-6)
    close(tokens[0, 2], module.proj.bias)
    close(tokens[0, 4], module.proj(features[0, [1, 3]].mean(dim=0)), atol=1e-6)


@torch.no_grad()
def test_resamplers_do_not_mind_how_many_tokens_there_are():
    for name in ("perceiver", "qformer"):
        module = build(name, num_queries=3)
        for encoder_tokens in (1, 9):
            features = torch.randn(2, encoder_tokens, 8)
            assert module(features).shape == (2, module.num_tokens(encoder_tokens), 10)
        changed = features.clone()
        changed[0, 8, 0] += 3
        assert (module(changed)[0] - module(features)[0]).abs().max() > 1e-4


@pytest.mark.parametrize(
    "name, settings, tokens, message",
    [
        ("concat", {"merge": 4}, 257, "gives 257 tokens; the concat projector needs a multiple of merge=4"),
        ("pixel_shuffle", {}, 257, "257 tokens, no multiple of a grid of 16 x 16"),
        ("average_pool", {"grid": (2, 3)}, 16, "16 tokens, no multiple of a grid of 2 x 3"),
        ("convolution", {"grid": (3, 2)}, 6, "grid is 3 x 2; the convolution projector needs multiples of merge=2"),
        (
            "cross_attention",
            {"num_queries": 4, "num_heads": 2, "out_dim": 12},
            7,
            "7 tokens, no multiple of a grid of 2 x 2",
        ),
        ("space_time_pool", {"grid": (2, 2), "num_queries": 3}, 16, "reads 4 frames; num_queries=3"),
    ],
)
def test_tokens_that_do_not_fit_are_refused_with_both_numbers(name, settings, tokens, message):
    module = build(name, **settings)
    with pytest.raises(AnyGenError, match=message):
        module.num_tokens(tokens)
    with pytest.raises(AnyGenError, match=message):
        module(torch.randn(1, tokens, 8))


def test_the_grid_is_asked_of_the_encoder():
    def built(found, **settings):
        config = InputProjectorConfig(type="pixel_shuffle", **settings)
        return build_input_projector(config, in_dim=8, out_dim=10, grid=found)

    assert built((4, 2, 8)).num_tokens(64) == 4 * 4  # four frames of 2 x 8, though 64 tokens could be a square
    assert built((4, 2, 8), grid=(8, 8)).num_tokens(64) == 16
    with pytest.raises(AnyGenError, match="pixel_shuffle joins tokens of a grid; found a row of 64"):
        built((64,))
    row = build_input_projector(InputProjectorConfig(type="concat", merge=4), in_dim=8, out_dim=10, grid=(64,))
    assert row.num_tokens(64) == 16


def test_settings_below_one_and_heads_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="merge=0; expected at least 1"):
        InputProjectorConfig(merge=0)
    with pytest.raises(ValueError, match="num_queries=5 must be a square, and the LLM's width 10 a multiple of 4"):
        build("cross_attention", num_queries=5)
    with pytest.raises(ValueError, match="hidden_dim 10 must be a multiple of num_heads=4"):
        build("qformer", hidden_dim=10)


def test_flamingo_and_blip2_have_their_published_numbers_of_parameters():
    with torch.device("meta"):
        perceiver = PerceiverResampler(
            InputProjectorConfig(num_queries=64, num_layers=6, num_heads=8, head_dim=64), dim=1024
        )
        qformer = build("qformer", num_queries=32, num_layers=12, num_heads=12, hidden_dim=768, in_dim=1408)
    millions = [
        round(sum(map(torch.Tensor.numel, part.parameters())) / 1e6, 1) for part in (perceiver, qformer.qformer)
    ]
    assert millions == [63.0, 105.1]
    assert math.prod(qformer.query_tokens.shape) == 32 * 768
