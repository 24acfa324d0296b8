"""Processors without their part for films keep the settings and the template that came with them."""

import json

import pytest
from tiny_seers import TEMPLATE, save_qwen, tokenizer_with
from transformers import AutoConfig, LlavaOnevisionConfig, LlavaOnevisionProcessor
from transformers.models.llava_onevision.image_processing_pil_llava_onevision import LlavaOnevisionImageProcessorPil
from transformers.utils import is_torchvision_available

from anygen.backbones.stills import load_processor, stills_only

pytestmark = pytest.mark.skipif(is_torchvision_available(), reason="with torchvision processors are whole")


def test_settings_are_kept(tmp_path):
    """LLaVA-OneVision gives a picture the tokens that its processor_config.json says; its class has no number."""
    reader = LlavaOnevisionImageProcessorPil(size={"height": 16, "width": 16})
    told = {"num_image_tokens": 5, "vision_feature_select_strategy": "full", "chat_template": TEMPLATE}
    kind = stills_only(LlavaOnevisionProcessor)
    kind(image_processor=reader, tokenizer=tokenizer_with(["<image>", "<video>"]), **told).save_pretrained(tmp_path)
    for folder in (tmp_path, tmp_path / "again"):
        processor = load_processor(folder, described=LlavaOnevisionConfig())
        assert {name: getattr(processor, name) for name in told} == told
        assert processor.image_processor.size == reader.size
        processor.save_pretrained(tmp_path / "again")


def test_a_template_beside_the_tokenizer_is_read(tmp_path):
    """Qwen's repositories have it in a file of the processor's."""
    save_qwen(tmp_path)
    template = (tmp_path / "chat_template.jinja").read_text()
    (tmp_path / "chat_template.jinja").unlink()
    (tmp_path / "chat_template.json").write_text(json.dumps({"chat_template": template}))
    assert load_processor(tmp_path, described=AutoConfig.from_pretrained(tmp_path)).chat_template == template
