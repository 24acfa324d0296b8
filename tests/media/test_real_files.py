"""Photographs, films and recordings from elsewhere, where the folder of shared data lies beside the repository."""

from pathlib import Path

import numpy as np
import pytest

from anygen.media import load_media

DATA = Path(__file__).parents[3] / "shared" / "data" / "formats"
FILES = {
    "image": ["codi/cat.jpg", "codi/house.jpeg", "languagebind/thermal/0.jpg"],
    "video": ["asl_gestures/milk.mkv", "llamafactory/mllm_demo_data/2.avi", "video_llama/dog_barking.mp4"],
    "audio": ["librispeech/5703-47212-0000.ogg", "llamafactory/mllm_demo_data/1.mp3", "video_llama/dog_barking.mp4"],
}


@pytest.mark.skipif(not DATA.exists(), reason="no shared data beside the repository")
@pytest.mark.parametrize(("modality", "name"), [(modality, name) for modality in FILES for name in FILES[modality]])
def test_real_files_load(modality, name):
    medium = load_media(modality, DATA / name)
    if modality == "image":
        assert medium.mode == "RGB"
        assert min(medium.size) > 50
        assert np.asarray(medium).std() > 10
    elif modality == "video":
        assert 1.0 < medium.duration < 60.0
        assert medium.frames.std() > 10
        assert (medium.audio is not None) == (name == "video_llama/dog_barking.mp4")
    else:
        assert 1.0 < medium.duration < 60.0
        assert np.abs(medium.waveform).max() > 0.05
