"""The server behind a model that reads and makes pictures alone: what it cannot do is said, the rest works."""

import base64
import io

import openai
import pytest
from PIL import Image

from serving import Running


@pytest.fixture(scope="module")
def pictures(pictures_alone):
    """A server of such a model."""
    with Running(pictures_alone) as running:
        yield running


def test_it_says_what_it_makes_and_makes_it_at_its_own_size(pictures):
    client = pictures.openai()
    (model,) = client.models.list().data
    assert model.output_modalities == ["text", "image"]
    made = client.images.generate(model=model.id, prompt="a cat", size="16x16").data
    assert Image.open(io.BytesIO(base64.b64decode(made[0].b64_json))).size == (16, 16)
    with pytest.raises(openai.BadRequestError) as refused:
        client.images.generate(model=model.id, prompt="a cat", size="64x64")
    assert refused.value.param == "size" and refused.value.body["expected"].startswith("16x16")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/videos", {"prompt": "a cat"}),
        ("/v1/audio/generate", {"input": "a cat"}),
        ("/v1/audio/speech", {"input": "a cat", "voice": "alloy"}),
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": "a cat"}], "modalities": ["image", "video"]}),
    ],
)
def test_what_it_does_not_make_is_refused_with_what_it_does(pictures, path, body):
    answer = pictures.http.post(path, json=body)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (400, "modality_not_supported")
    assert error["available"] == "text, image" and "instead" not in error
