"""Dialogues in which the user's words alone ask for a medium: draw, film, play, bare captions; `several.py` has several.

Every function takes a `Speaker` and gives the turns of one dialogue. What a user leaves unsaid is at its default: a
natural colour, large, in the center, on white, staying still. Media come in the order image, video, audio.
"""

from __future__ import annotations

from dataclasses import replace

from anygen.nano.world.captions import SAYABLE, caption, has_place, with_article
from anygen.nano.world.scene import Scene
from anygen.nano.world.turns import (
    MEDIA,
    DialoguePart,
    DialogueTurn,
    Speaker,
    Turns,
    Wordings,
    defaults,
    medium,
    show,
)
from anygen.nano.world.words import MOTION_WORDS, NOUNS

MEDIUM_NOUNS = {
    "image": ("picture", "picture", "image", "image", "drawing", "photo", "photograph", "illustration", "painting",
    "sketch",
              "pic", "graphic", "still image", "artwork", "png", "jpg"),
    "video": ("video", "video", "film", "film", "clip", "movie", "animation", "video clip", "short film", "gif",
    "footage",
              "moving picture", "short video", "mp4", "film clip"),
    "audio": ("sound", "sound", "audio", "recording", "noise", "audio clip", "sound clip", "sound effect",
    "audio recording",
              "sound recording", "audio file", "sound file", "wav", "audio sample"),
}  # fmt: skip

POLITE = Wordings(
    train=("{r}", "{r}", "{r}", "{r}", "[please|now|ok, now|hey,|hi,|hello,] {r}",
           "[can|could|would|will] you [|please ]{r}?",
           "{r}[,|] please", "{r} for me", "i [want|need] you to {r}", "i would like you to {r}",
           "[go ahead and|just] {r}", "[be nice and|be so good and|try to|you should|you must|quickly] {r}",
           "[is it possible to|would you mind to|are you able to] {r}?", "my wish: {r}", "next, {r}", "{r} now", "{r}, thanks",
           "it would be great if you could {r}", "[let's|let us] {r}", "nano, {r}", "{r}, will you?"),
    test=("would you be so kind and {r}?", "do {r}", "can i ask you to {r}?", "what i want: {r}",
          "{r}, and please now"),
    more=("be a dear and {r}", "[do me a favor|do me a favour|do us a favor] and {r}", "[come on|come], {r}", "[go|go on|carry on] and {r}",
          "{r}[,|] and thank you", "{r} and [thanks|many thanks]", "if [you can|possible|you like|you please|you may], {r}",
          "if you [do not|don't] mind, {r}", "when you have [time|a minute|a moment], {r}", "[would|will] you be able to {r}?",
          "would you like to {r}?", "i [wonder|was wondering] if you could {r}", "i [was hoping|hope] you could {r}",
          "i hope you can {r}", "my request is to {r}", "my request: {r}", "[the job|your task|the task|your job]: {r}",
          "here is what to do: {r}", "[one more|something else|another one]: {r}", "[first|then|and then|and|so|well|next] {r}",
          "[first of all|by the way|for a start|this time|today|once more|again], {r}",
          "{r} [right now|right away|at once|when you can|if you can|for us|for my friend|for my daughter|for school|one more time]",
          "{r} and be quick", "{r}[,|] and hurry", "{r}, nothing else", "{r}, that is all", "{r}, dear nano", "thank you, {r}",
          "sorry[,| but] {r}", "i beg you, {r}", "how about you {r}?", "why [not|don't you] {r}?", "do you mind to {r}?",
          "be friendly and {r}", "stop that and {r}", "try again and {r}", "think a little and {r}", "take your time and {r}",
          "sit down and {r}", "wake up and {r}", "help me and {r}", "start and {r}", "be quick and {r}", "listen and {r}",
          "it would be [kind|nice|lovely] of you to {r}", "i order you to {r}", "i ask you to {r}", "i'd like you to {r}",
          "i'd love you to {r}", "get going and {r}", "you are to {r}", "time to {r}", "your turn: {r}", "we need you to {r}",
          "{r}, would you?", "{r}, can you?", "{r}, ok?", "{r}, if you please", "{r}, and make it good", "{r}, and do it well",
          "{r} and nothing else", "{r}, and soon", "{r}, and that is it"),
)  # fmt: skip
VERBS = ("draw", "paint", "film", "animate", "show", "play", "make", "let", "give", "turn", "change")
VERB = {
    "image": Wordings(
        train=("[draw|paint|sketch|illustrate|render] [|me ]{x}",
               "[make|create|generate|produce|give me|show me] {a_medium} of {x}",
               "[make|draw] me {a_medium} of {x}", "show me {x}", "let me see {x}",
               "[make|draw|create] {a_medium} [showing|with] {x}",
               "[generate|create|make] {x}", "picture {x}", "imagine {x}", "[show|give me] {x} as {a_medium}",
               "[turn|make] {x} into {a_medium}", "draw {a_medium} [where|in which] there is {x}", "[sketch|paint] {x} in {a_medium}",
               "[produce|prepare] {a_medium} for me: {x}", "draw this: {x}", "show me how {x} looks", "depict {x}"),
        test=("let me have {a_medium} of {x}", "put {x} into {a_medium}", "make {x} for me as {a_medium}",
              "draw what i say: {x}", "show in {a_medium} {x}"),
        more=("get me {a_medium} of {x}", "come up with {a_medium} of {x}", "design {a_medium} of {x}", "draw up {a_medium} of {x}",
              "give {a_medium} of {x} to me", "draw {x} in the form of {a_medium}", "let there be {a_medium} of {x}",
              "make {a_medium} about {x}", "show {a_medium} of {x}", "show me {x} on {a_medium}", "use {a_medium} to show {x}",
              "make {a_medium}. {x}", "make {a_medium}: {x}", "draw {a_medium}, {x}", "{x}. draw it", "paint {a_medium}: {x}"),
    ),
    "video": Wordings(
        train=("film [|me ]{x}", "animate {x}", "[make|create|generate|produce|give me|show me] {a_medium} of {x}",
               "[make|shoot] me {a_medium} of {x}", "[make|create|generate] {a_medium} [showing|with] {x}",
               "record {a_medium} of {x}",
               "[turn|make] {x} into {a_medium}", "film this: {x}", "[produce|prepare] {a_medium} for me: {x}",
               "show me {x} in {a_medium}", "make {a_medium} where one sees {x}", "film a scene with {x}", "animate this: {x}",
               "shoot {a_medium} of {x}", "[show|give me] {x} as {a_medium}", "let me watch {x}",
               "let me see {a_medium} of {x}"),
        test=("let me have {a_medium} of {x}", "put {x} into {a_medium}", "make {x} for me as {a_medium}",
              "film what i say: {x}", "show in {a_medium} {x}"),
        more=("get me {a_medium} of {x}", "come up with {a_medium} of {x}", "give {a_medium} of {x} to me",
              "film {x} in the form of {a_medium}", "let there be {a_medium} of {x}", "make {a_medium} about {x}",
              "show {a_medium} of {x}", "play {a_medium} of {x}", "use {a_medium} to show {x}", "make {a_medium}. {x}",
              "make {a_medium}: {x}", "{x}. film it", "render {a_medium} of {x}", "produce {a_medium}: {x}", "run {a_medium} of {x}"),
    ),
    "audio": Wordings(
        train=("play [|me ]{x}", "let me hear {x}", "[make|create|generate|produce|give me|play me] {a_medium} of {x}",
               "[make|create|generate|give me] {x}", "[make|play] me {a_medium} of {x}", "let me listen to {x}",
               "i want to hear {x}",
               "play {a_medium} of {x}", "[show|give me|play] {x} as {a_medium}", "sound {x}", "record {x}", "[turn|make] {x} into {a_medium}",
               "play this: {x}", "[produce|prepare] {a_medium} for me: {x}", "play me {x} in {a_medium}", "let {x} be heard"),
        test=("let me have {a_medium} of {x}", "put {x} into {a_medium}", "make {x} for me as {a_medium}",
              "play what i say: {x}", "make me hear {x}"),
        more=("get me {a_medium} of {x}", "come up with {a_medium} of {x}", "give {a_medium} of {x} to me",
              "play {x} in the form of {a_medium}", "let there be {a_medium} of {x}", "make {a_medium} about {x}",
              "use {a_medium} for {x}", "make {a_medium}. {x}", "make {a_medium}: {x}", "{x}. play it", "let {a_medium} of {x} play",
              "sound out {x}", "produce {a_medium}: {x}", "record {a_medium} of {x}", "let us hear {a_medium} of {x}"),
    ),
}  # fmt: skip
NOUN = Wordings(
    train=("{a_medium} of {x}", "{a_medium} [showing|with] {x}", "{x}[,|] as {a_medium}", "{medium}: {x}",
           "{x}, {medium}",
           "{x} ({medium})", "i [want|need|would like|want to have] {a_medium} of {x}",
           "i'd like [|to have |to get ]{a_medium} of {x}",
           "{medium} of {x}", "[do you have|have you got|is there|can i have|may i have|can i get] {a_medium} of {x}?",
           "{x} {medium}", "[one|another|some] {medium} of {x}", "{a_medium}, {x}", "{a_medium}: {x}", "{x}, {a_medium} of it",
           "i am looking for {a_medium} of {x}", "{a_medium} in which there is {x}", "i wish for {a_medium} of {x}",
           "my wish is {a_medium} of {x}", "all i need is {a_medium} of {x}", "{x}, in {a_medium}", "{x} in the form of {a_medium}",
           "could there be {a_medium} of {x}?", "send me {a_medium} of {x}", "what about {a_medium} of {x}?"),
    test=("{a_medium} is what i want, of {x}", "for me {a_medium} of {x}", "{x}. as {a_medium}",
          "how about {a_medium} of {x}?"),
    more=("please, {a_medium} of {x}", "let there be {a_medium} of {x}", "get me {a_medium} of {x}", "{x}! {a_medium}", "{x}. {a_medium}",
          "we need {a_medium} of {x}", "{a_medium} about {x}", "{a_medium} of {x} would be [nice|great|lovely|fine]",
          "[may|could] i [see|have|get] {a_medium} of {x}?", "i'll take {a_medium} of {x}", "answer with {a_medium} of {x}",
          "{x} - {medium}", "{medium} - {x}", "{a_medium} that has {x}", "{x} makes [|for ]{a_medium}", "we want {x} as {a_medium}",
          "i am after {a_medium} of {x}", "there should be {a_medium} of {x}", "of {x}, {a_medium}", "of {x} i want {a_medium}",
          "{a_medium}! of {x}", "bring {a_medium} of {x}", "{x} and {a_medium} of it", "only {a_medium} of {x}", "just {a_medium} of {x}"),
)  # fmt: skip
HEAR = Wordings(
    train=("what does {thing} sound like?", "how does {thing} sound?", "let me hear {thing}", "i want to hear {thing}",
           "play {thing}", "what would {thing} sound like?", "make {thing} sound", "let {thing} be heard",
           "{thing}, let me hear it",
           "what is it like to hear {thing}?", "can i hear {thing}?", "may i listen to {thing}?"),
    test=("{thing}: how does it sound?", "may i hear {thing}?", "i would like to know how {thing} sounds",
          "could i listen to {thing}?"),
)  # fmt: skip
SEE_MOVE = Wordings(
    train=("show me {x}", "let me see {x}", "show me how {thing} {moves}", "let me see {thing} {moving}",
           "make {thing} {move}",
           "let {thing} {move}", "i want to see {x}", "i want to see {thing} {move}", "show {x}"),
    test=("how does it look when {thing} {moves}?", "may i see {x}?", "could {thing} {move}, please?"),
)  # fmt: skip
def request(speaker: Speaker, modality: str) -> Turns:
    """"Draw a red bell on grass." -> "Here is a large red bell on grass in the center." and the picture."""
    scene, words = asked_for(speaker, modality, speaker.scene(modality))
    return speaker.user(words), show(medium(modality, scene))


def draw(speaker: Speaker) -> Turns:
    """A picture from words."""
    return request(speaker, "image")


def film(speaker: Speaker) -> Turns:
    """A film from words."""
    return request(speaker, "video")


def play(speaker: Speaker) -> Turns:
    """A sound from words."""
    return request(speaker, "audio")


def bare_caption(speaker: Speaker) -> Turns:
    """Words that name no medium: a picture, but a film where something moves and a sound where it is heard."""
    modality = speaker.rng.choices(MEDIA, weights=(0.6, 0.2, 0.2))[0]
    moving = (lambda scene: scene.motion != "stays still") if modality == "video" else None
    scene, said = say_some(speaker, speaker.scene(modality, where=moving))
    return speaker.user(caption(scene, modality, speaker.rng, said=said)), show(medium(modality, scene))


def forced_media(speaker: Speaker) -> Turns:
    """A bare caption of a picture, answered with media that the words do not name: how forced decoding looks.

    Half of the time the media follow each other without a word, behind the caption that is natural for the words.
    """
    scene = speaker.scene("image", where=is_lone)
    scene, said = say_some(speaker, scene)
    media = [medium("image", scene)]
    still = replace(scene, motion="stays still")
    if speaker.allows(still):
        media.append(medium("video", still))
    if scene.sounds:
        media.append(medium("audio", scene))
    chosen = sorted(speaker.rng.sample(range(len(media)), speaker.rng.randint(1, len(media))))
    chosen = [media[index] for index in chosen]
    question = speaker.user(caption(scene, "image", speaker.rng, said=said))
    if speaker.chance(0.5):
        return question, show(*chosen)
    text = DialoguePart(type="text", text=f"Here is {media[0].caption}.")
    return question, DialogueTurn(role="assistant", parts=(text, *chosen))


def motion_slots(speaker: Speaker, motion: str) -> dict[str, str]:
    """The forms of a motion for wordings: {"move": "move left", "moves": "moves left", "moving": "going left"}."""
    verb, _, rest = motion.partition(" ")
    infinitive = f"{verb.removesuffix('s')} {rest}".strip()
    return {"move": infinitive, "moves": motion, "moving": speaker.rng.choice(MOTION_WORDS[motion])}


def politely(speaker: Speaker, words: str) -> str:
    """Words that begin with a verb as a question or with a please; other words as they are."""
    return speaker.say(POLITE, r=words) if words.split()[0] in VERBS else words


def a_medium(speaker: Speaker, modality: str) -> str:
    """A name of the medium with its article: "a picture", "an animation"."""
    noun = speaker.rng.choice(MEDIUM_NOUNS[modality])
    return noun if noun in ("audio", "footage") else with_article(noun)


def _name_medium(speaker: Speaker, modality: str) -> dict[str, str]:
    return {"a_medium": a_medium(speaker, modality), "medium": speaker.rng.choice(MEDIUM_NOUNS[modality])}


def say_some(speaker: Speaker, scene: Scene) -> tuple[Scene, set[str]]:
    """Which of `SAYABLE` the user names, and the scene that is then meant: what is not named is at its default."""
    said = set(SAYABLE)
    if speaker.chance(0.35):
        some = {name for name in SAYABLE if speaker.chance(0.5)} | ({"color"} if scene.companion else set())
        plain = speaker.plain(scene, said=some)
        if _is_plain(plain, set(SAYABLE) - some):
            return plain, some
    for name in ("size", "place", "background"):
        if _is_plain(scene, {name}) and speaker.chance(0.5):
            said.discard(name)
    return scene, said


def is_lone(scene: Scene) -> bool:
    """Whether the scene holds one thing alone."""
    return scene.count == 1 and scene.companion is None


def _is_plain(scene: Scene, names: set[str]) -> bool:
    return all(getattr(scene, name) == defaults(scene.thing)[name] for name in names)


def asked_for(speaker: Speaker, modality: str, scene: Scene) -> tuple[Scene, str]:
    """Words that ask for one medium, and the scene that they mean."""
    rng = speaker.rng
    if modality == "audio" and scene.tone is None and speaker.chance(0.3):
        scene, said = say_some(speaker, scene)
        thing = caption(replace(scene, count=1, companion=None), "image", rng, said=said if speaker.chance(0.3) else ())
        return scene, speaker.padded(speaker.say(HEAR, thing=thing))
    if modality == "audio":
        x = caption(scene, "audio", rng)
        x = with_article(NOUNS[scene.thing][0][0]) if scene.tone is None and speaker.chance(0.3) else x
    else:
        scene, said = say_some(speaker, scene)
        shown = modality
        if modality == "video" and speaker.chance(0.2) and speaker.allows(replace(scene, motion="stays still")):
            scene, shown = replace(scene, motion="stays still"), "image"
        elif modality == "video" and speaker.chance(0.2):
            if "place" not in said or not has_place(scene, "video"):
                thing = caption(scene, "image", rng, said=set(said) - {"place"})
                x = f"{thing} {rng.choice(MOTION_WORDS[scene.motion])}"
                words = speaker.say(SEE_MOVE, x=x, thing=thing, **motion_slots(speaker, scene.motion))
                return scene, speaker.padded(words)
        elif modality == "image" and speaker.chance(0.06) and has_place(scene, "video"):
            x = caption(scene, "video", rng, said=said)
            return scene, speaker.padded(speaker.say(NOUN, x=x, **_name_medium(speaker, modality)))
        x = caption(scene, shown, rng, said=said)
    slots = {"x": x, **_name_medium(speaker, modality)}
    if speaker.chance(0.35):
        return scene, speaker.padded(speaker.say(NOUN, **slots))
    return scene, speaker.padded(speaker.say(POLITE, r=speaker.say(VERB[modality], **slots)))
