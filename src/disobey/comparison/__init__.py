"""The analyses of confidence, on logits that anybody's code made.

``files`` reads them, ``checks`` refuses what cannot be right, ``alignment`` matches rows,
``comparing`` has them analysed as a study's setting is, ``result`` holds and says what came out;
`disobey.api` and ``python -m disobey compare`` use them.
"""
