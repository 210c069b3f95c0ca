"""What people read: whole lines, whichever thread says them."""
