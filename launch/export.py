"""Export a trained model for other programs.

python launch/export.py --model RUN --out FOLDER [--formats safetensors,onnx,torch-export]
"""

from glr_fast.commands.export import main

if __name__ == "__main__":
    main()
