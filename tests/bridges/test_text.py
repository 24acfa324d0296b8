"""The text bridge: decoding keeps the grammar whatever the LLM wants, and the generator's own encoder reads the captions."""

import numpy as np
import pytest
import torch

from anygen import AnyGenPipeline
from anygen.bridges import BridgeConfig
from anygen.errors import AnyGenError
from anygen.losses import text_generation_loss
from anygen.model import AnyGenConfig, AnyGenModel
from anygen.stream import Finished, MediumAsked, MediumReady, TextDelta

MEDIA = ("image", "video", "audio")
LESSON = "Look: <image>a red bell</image> and <audio>the bell</audio>, done <b>now</b>."


def with_text_bridges(model, **settings):
    """The toy model's LLM and generators, joined by captions, with room for the instructions."""
    model.backbone.llm.config.max_position_embeddings = 4096
    config = AnyGenConfig(bridges={m: BridgeConfig(type="text", max_caption_tokens=6) for m in MEDIA}, **settings)
    return AnyGenPipeline(AnyGenModel(config, encoders={}, backbone=model.backbone, generators=dict(model.generators.items())))


@pytest.fixture(scope="module")
def pipe(toy_model_maker):
    """An LLM with random weights."""
    return with_text_bridges(toy_model_maker())


@pytest.fixture(scope="module")
def taught(toy_model_maker):
    """An LLM that has learnt one reply by heart, markup in it, to the request "go"."""
    pipe = with_text_bridges(toy_model_maker(), instructions="Use tags.")
    model = pipe.model
    inputs = model.collate([[{"role": "user", "content": "go"}, {"role": "assistant", "content": LESSON}]])
    ids = model.write_script("go", add_generation_prompt=True).ids
    said = model.backbone.encode_text(LESSON)  # what a reply is written as, tags and all
    row = torch.tensor([[*ids, *said, model.backbone.end_id]])
    labels = torch.tensor([[-100] * len(ids) + [*said, model.backbone.end_id]])
    assert inputs.input_ids.shape[1] > 0
    optimizer = torch.optim.AdamW(model.backbone.parameters(), lr=1e-2)
    for _ in range(120):
        hidden = model.backbone(model.embed_ids(row), attention_mask=torch.ones_like(row), position_ids=torch.arange(row.shape[1])[None])
        loss = text_generation_loss(model.backbone.logits(hidden), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.1
    return pipe


def test_media_that_are_asked_for_are_made_in_order_by_an_llm_that_knows_nothing(pipe):
    out = pipe("a bell", modalities=["audio", "image"], seed=0)
    assert [part.type for part in out.parts] == ["audio", "image"]
    for part in out.parts:
        assert part.signal.caption.strip() and not set("<\n") & set(part.signal.caption)
        assert part.signal.tokens == ()
        expected = pipe.generators[part.type].encode_text([part.signal.caption])
        assert torch.equal(part.signal.condition["prompt_embeds"], expected["prompt_embeds"])


def test_item_of_a_batch_equals_item_alone(pipe):
    asked = ["a bell", "the sound of a small cat, please"]
    together = pipe(asked, modalities=["image"], seed=[3, 4])
    for index, out in enumerate(together):
        alone = pipe(asked[index], modalities=["image"], seed=3 + index)
        assert alone.parts[0].signal.caption == out.parts[0].signal.caption
        assert np.abs(np.asarray(alone.images[0], dtype=int) - np.asarray(out.images[0], dtype=int)).max() <= 1


def test_words_alone_hold_no_media(pipe):
    assert [part.type for part in pipe("a bell", modalities=["text"], seed=0, max_new_tokens=20).parts] in ([], ["text"])


def test_an_interleaved_reply_keeps_its_order_and_its_words(taught):
    out = taught("go", seed=0)
    assert [part.type for part in out.parts] == ["text", "image", "text", "audio", "text"]
    assert [part.text for part in out.parts if part.type == "text"] == ["Look: ", " and ", ", done <b>now</b>."]
    assert [part.signal.caption for part in out.parts if part.type != "text"] == ["a red bell", "the bell"]
    assert out.message["content"][1]["caption"] == "a red bell"


def test_the_next_turn_shows_the_llm_its_own_elements(taught):
    out = taught("go", seed=0)
    history = [{"role": "user", "content": "go"}, out.message, {"role": "user", "content": "again"}]
    ids = taught.model.write_script(history, add_generation_prompt=True).ids
    assert "Look: <image>a red bell</image> and <audio>the bell</audio>" in taught.model.backbone.decode_text(ids)


def test_a_stream_tells_words_and_media_in_order_and_never_half_a_tag(taught):
    told = []
    for event in taught.stream("go", seed=0):
        match event:
            case TextDelta():
                told.append(event.text)
            case MediumAsked():
                told.append([event.modality])
            case MediumReady():
                told.append(None)
            case Finished():
                output = event.output
    asked = [piece for piece in told if piece is not None]
    assert [piece for piece in asked if isinstance(piece, list)] == [["image"], ["audio"]]
    words = "".join(piece for piece in asked if isinstance(piece, str))
    assert words == "".join(part.text for part in output.parts if part.type == "text")
    assert "".join(asked[: asked.index(["image"])]) == "Look: "
    tags = ("<image>", "</image>", "<audio>", "</audio>")
    assert not [piece for piece in asked for tag in tags if piece[-1].endswith(tuple(tag[:n] for n in range(2, len(tag) + 1)))]


def test_a_medium_without_its_generator_is_words(taught):
    model = taught.model
    deaf = AnyGenPipeline(
        AnyGenModel(model.config, encoders={}, backbone=model.backbone, generators={"image": model.generators["image"]})
    )
    with pytest.raises(AnyGenError, match="modality_not_supported"):
        deaf("go", modalities=["audio"])


def test_a_caption_that_never_ends_is_closed_at_its_limit_and_at_the_end_of_the_room(pipe):
    bounded = pipe("a bell", modalities=["image"], seed=0)
    assert 1 <= bounded.num_reply_tokens <= 6
    fewest = len(pipe.model.backbone.encode_text("<image>")) + len(pipe.model.backbone.encode_text("</image>")) + 1
    short = pipe("a bell", modalities=["image"], seed=0, max_new_tokens=fewest)
    assert short.parts[0].signal.caption.strip()
    with pytest.raises(AnyGenError, match=f"the media asked for take {fewest}"):
        pipe("a bell", modalities=["image"], seed=0, max_new_tokens=fewest - 1)


def test_no_text_bridge_beside_a_signal_for_the_same_modality(toy_model):
    with pytest.raises(ValueError, match="a text bridge and a signal for image"):
        AnyGenConfig(
            signals={"image": toy_model.config.signals["image"]},
            output_projectors={"image": toy_model.config.output_projectors["image"]},
            conditions={"image": {}},
            bridges={"image": BridgeConfig(type="text")},
        )
