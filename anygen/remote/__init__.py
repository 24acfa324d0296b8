"""Parts behind an OpenAI-shaped HTTP endpoint: an LLM, or a generator, that another program serves.

    RemoteLLM          conversations -> POST {base_url}/chat/completions -> replies with captions in the markup
    RemoteGenerator    captions -> POST {base_url}/images/generations, /audio/speech, /videos -> media

`endpoint.py` holds what both need: an address that the caller named, a key out of the environment, deadlines, retries
and bounds. Nothing is sent to any other address, and nothing of this machine's set-up (proxies, netrc, cookies) takes
part.
"""

from __future__ import annotations

from anygen.remote.endpoint import Endpoint, is_remote
from anygen.remote.generator import RemoteGenerator
from anygen.remote.llm import RemoteLLM

__all__ = ["Endpoint", "RemoteGenerator", "RemoteLLM", "is_remote"]
