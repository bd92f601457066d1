"""How the bundled model `assets/models/leaml-mini` is made. Not needed to use it; README.md says how to run it.

Facts first: `scenes.py` plans a picture and `drawing.py` draws it. `captions.py`, `questions.py`, `ask_place.py`,
`ask_look.py` and `skills.py` put the facts into words (`wording.py`). `wide_tower.py` supplies the frozen vision
tower, `features.py` stores its output, `align.py` and `pretrain.py` train projector and decoder.
"""
