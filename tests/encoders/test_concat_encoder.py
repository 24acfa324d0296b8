"""Encoders side by side: whose tokens stand where, and which do not go together."""

import json

import pytest
import torch
import torch.nn.functional as F
from hub_snapshots import SNAPSHOTS
from toy_encoders import media_of

from anygen.encoders import load_encoder
from anygen.encoders.concat_encoder import ConcatEncoder, ConcatEncoderConfig
from anygen.encoders.transformers_encoder import TransformersEncoderConfig
from anygen.errors import AnyGenError


@pytest.fixture(scope="module")
def members(tmp_path_factory):
    folder = tmp_path_factory.mktemp("members")
    config = TransformersEncoderConfig(num_frames=2)
    names = ("clip", "dinov2", "videomae", "whisper")
    return {name: load_encoder(SNAPSHOTS[name](folder / name), config=config) for name in names}


def encode(encoder, modality):
    return encoder(modality, encoder.preprocess(modality, media_of(modality)))


def pick(members, *names):
    return {name: members[name] for name in names}


@torch.no_grad()
def test_channels_stand_side_by_side_in_the_order_of_the_members(members):
    both = ConcatEncoder(pick(members, "clip", "dinov2"))
    assert both.width("image") == 64 and both.grid("video") == (2, 4, 4)
    for modality in ("image", "video"):
        parts = [encode(members[name], modality) for name in ("clip", "dinov2")]
        torch.testing.assert_close(encode(both, modality), torch.cat(parts, dim=-1))
    assert torch.equal(encode(both, "text"), encode(members["clip"], "text")), "what one member reads is that member's"


@torch.no_grad()
def test_tokens_stand_one_after_the_other(members):
    both = ConcatEncoder(pick(members, "videomae", "clip"), ConcatEncoderConfig(axis="tokens"))
    parts = [encode(members[name], "video") for name in ("videomae", "clip")]
    torch.testing.assert_close(encode(both, "video"), torch.cat(parts, dim=1))
    assert both.num_tokens("video") == 8 + 32


@torch.no_grad()
def test_grids_come_to_one_only_when_it_is_said_how(members):
    with pytest.raises(AnyGenError, match=r"video tokens of clip, videomae have the grids .*\(2, 4, 4\).*\(2, 2, 2\)"):
        ConcatEncoder(pick(members, "clip", "videomae"))
    both = ConcatEncoder(pick(members, "clip", "videomae"), ConcatEncoderConfig(resize="interpolate"))
    coarse = encode(members["videomae"], "video").transpose(1, 2).unflatten(2, (2, 2, 2))
    fine = torch.stack([F.interpolate(frame, size=(4, 4), mode="bilinear") for frame in coarse.unbind(2)], dim=2)
    tokens = encode(both, "video")
    torch.testing.assert_close(tokens[..., 32:], fine.flatten(2).transpose(1, 2), atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(tokens[..., :32], encode(members["clip"], "video"))

    pooled = ConcatEncoder(pick(members, "clip", "dinov2"), ConcatEncoderConfig(resize="pool", grids={"image": (2, 2)}))
    cells = encode(members["dinov2"], "image").unflatten(1, (2, 2, 2, 2)).mean(dim=(2, 4)).flatten(1, 2)
    torch.testing.assert_close(encode(pooled, "image")[..., 32:], cells, atol=1e-6, rtol=1e-5)
    assert pooled.num_tokens("image") == 4 and pooled.num_tokens("video") == 32


@torch.no_grad()
def test_the_first_member_with_a_joint_space_embeds(members):
    both = ConcatEncoder(pick(members, "dinov2", "clip", "whisper"))
    expected = members["clip"].embed("image", members["clip"].preprocess("image", media_of("image")))
    torch.testing.assert_close(both.embed("image", both.preprocess("image", media_of("image"))), expected)
    with pytest.raises(AnyGenError, match="modality 'audio'; this transformers encoder reads text, image, video"):
        both.embed("audio", both.preprocess("audio", media_of("audio")))
    with pytest.raises(AnyGenError, match="none of dinov2 has a space"):
        ConcatEncoder(pick(members, "dinov2")).embed("image", members["dinov2"].preprocess("image", media_of("image")))


def test_widths_and_settings_that_do_not_go_together_are_refused(members, tmp_path):
    from toy_encoders import toy_imagebind

    odd = {"clip": members["clip"], "imagebind": toy_imagebind()}
    with pytest.raises(AnyGenError, match="text tokens of clip, imagebind have the widths.*32.*12.*axis='channels'"):
        ConcatEncoder(odd, ConcatEncoderConfig(axis="tokens"))
    with pytest.raises(ValueError, match="grids=.* with resize='none'"):
        ConcatEncoderConfig(grids={"image": (2, 2)})
    with pytest.raises(ValueError, match="axis='rows'; expected one of channels, tokens"):
        ConcatEncoderConfig(axis="rows")


@torch.no_grad()
def test_members_are_referred_to_or_written_whole(members, tmp_path):
    both = ConcatEncoder(pick(members, "clip", "dinov2"), ConcatEncoderConfig(resize="pool", grids={"image": (2, 2)}))
    with pytest.raises(AnyGenError, match="did not come from a repository"):
        both.save_reference(tmp_path / "reference")
    both.save_pretrained(tmp_path / "whole", dtype=torch.float16)
    settings = json.loads((tmp_path / "whole" / "encoder.json").read_text())
    assert settings["members"] == ["clip", "dinov2"] and settings["grids"] == {"image": [2, 2]}
    assert load_encoder(tmp_path / "whole").config == both.config
    for names in (["../clip"], [], "clip"):
        (tmp_path / "whole" / "encoder.json").write_text(json.dumps(settings | {"members": names}))
        with pytest.raises(AnyGenError, match="encoder.json: .*members"):
            load_encoder(tmp_path / "whole")
