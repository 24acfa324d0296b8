"""The one exception of anygen: a fixed code, a fixed public sentence, and a detail for the person who called.

Every layer raises `AnyGenError(code, detail)`. What leaves the process (a server's reply, the `error` field of a
`results.jsonl` record) is `error.public()`: the code, the sentence that `PUBLIC_TEXT` fixes for it, and the fields that
were named as safe. The detail (found, expected, what to do) is shown to whoever called the Python function and goes to
the log; it may name local paths, so it never goes to a client.
"""

PUBLIC_TEXT: dict[str, str] = {
    # The request
    "invalid_request": "The request is not well formed.",
    "invalid_parameter": "A parameter is outside what it may be.",
    "context_length_exceeded": "The conversation is longer than the model's context.",
    "placeholder_mismatch": "The number of media placeholders and of media differ.",
    "modality_not_supported": "This model has no part for the modality asked for.",
    "bad_line": "The line is not a readable record.",
    "duplicate_id": "Two records have the same id.",
    "nothing_to_answer": "The item holds nothing to answer.",
    # Media handed in
    "media_empty": "The medium holds no data.",
    "media_unreadable": "The medium cannot be read.",
    "media_truncated": "The medium ends before its data does.",
    "media_too_large": "The medium is larger than allowed.",
    "media_too_small": "The medium is smaller than allowed.",
    "media_too_short": "The medium is shorter than allowed.",
    "media_type_not_allowed": "The medium's format is not one of those allowed.",
    "media_no_video_stream": "The medium holds no pictures.",
    "media_no_audio_stream": "The medium holds no sound.",
    "media_timeout": "Reading the medium took longer than allowed.",
    "media_not_finite": "The medium holds values that are not finite numbers.",
    "invalid_media_array": "The array is not a medium of a known shape and type.",
    "invalid_base64": "The base64 text cannot be decoded.",
    # Where media may come from and go to
    "url_not_allowed": "The address is not one that may be read.",
    "path_not_allowed": "The path is not one that may be read or written.",
    "storage_error": "The result cannot be stored.",
    "folder_in_use": "Another run is writing to the folder.",
    "run_mismatch": "The folder holds the results of a different run.",
    # The run
    "generation_not_finite": "The model's output holds values that are not finite numbers.",
    "out_of_memory": "There is not enough memory for this item.",
    "worker_died": "The worker process ended before the item was done.",
    "cancelled": "The item was cancelled.",
    "overloaded": "Too many requests are waiting.",
    "internal_error": "An internal error occurred.",
    # The server
    "unauthorized": "A valid token is required.",
    "origin_not_allowed": "Requests of this origin are not answered.",
    "not_found": "There is nothing at this address.",
    "method_not_allowed": "This address does not answer to this method.",
    "model_not_found": "The model asked for is not served here.",
    "request_too_large": "The request is larger than allowed.",
    "request_timeout": "The request took longer to arrive than allowed.",
    "deadline_exceeded": "The request took longer to answer than allowed.",
    "not_ready": "The server is starting or stopping.",
    "url_unreadable": "The address cannot be read.",
    # Parts that another program serves
    "remote_unavailable": "A remote part of the model cannot be reached, or is busy.",
    "remote_refused": "A remote part of the model refused the request.",
    "remote_bad_reply": "A remote part of the model gave a reply that is none.",
    # The model
    "index_stale": "A file of the media index has changed or is gone.",
    "model_load_error": "The model cannot be loaded.",
    "hub_unavailable": "The model hub cannot be reached.",
    "hub_access_denied": "The model hub refused access.",
}
"""Every code there is, with the sentence a client may see."""


class AnyGenError(Exception):
    """A fault with a fixed code.

    Args:
        code: a key of `PUBLIC_TEXT`.
        detail: what was found; what was expected; what to do. For the caller and the log, not for a client.
        fields: facts that are safe to show to anybody, e.g. `where="messages[0].content[2]"`, `found=3, limit=2`.
    """

    def __init__(self, code: str, detail: str = "", **fields: str | int | float):
        self.message = PUBLIC_TEXT[code]
        super().__init__(f"{code}: {detail or self.message}")
        self.code = code
        self.detail = detail
        self.fields = fields

    def public(self) -> dict[str, str | int | float]:
        """What a client may see: `{"code", "message"}` and the safe fields."""
        return {"code": self.code, "message": self.message, **self.fields}

    def __reduce__(self):
        return _rebuild, (self.code, self.detail, self.fields)


def _rebuild(code: str, detail: str, fields: dict) -> AnyGenError:
    return AnyGenError(code, detail, **fields)
