"""What calls keep: buffers, workspaces, packed weights and recorded launches; and what the machine tells about itself."""
