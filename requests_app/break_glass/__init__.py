"""Break-glass access: its reviews, and the pause that follows one."""
