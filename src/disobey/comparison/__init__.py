"""The confidence analysis for logits from any framework.

``files`` reads them, ``alignment`` checks and matches rows, ``comparing`` analyses them as a
setting of a study, ``result`` holds and prints the numbers; `disobey.api` and
``python -m disobey compare`` use them.
"""
