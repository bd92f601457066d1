"""What a selective training step costs, beside full fine-tuning, LoRA, SHiRA and masked gradients."""
