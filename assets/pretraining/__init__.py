"""How the bundled model `assets/models/leaml-mini` is made. Not needed to use it.

`scenes.py` draws pictures and knows what is in them, `language.py` turns that into questions, answers and
captions, `tower.py` supplies the pretrained vision tower, `pretrain.py` trains the decoder.
"""
