"""What may leave the store, and how it leaves without anything being lost: the collector and what others owe it."""
