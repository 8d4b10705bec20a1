"""Recognise the landmarks on photos.

    python launch/predict.py --model runs/resnet50_ce holiday more.zip --gallery holiday-page

``--help`` lists every option; glr_fast/prediction/ has the rest.
"""

from glr_fast.commands.predict import main

if __name__ == "__main__":
    main()
