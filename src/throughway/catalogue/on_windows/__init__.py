"""What the doctor says of Windows machines: problems of theirs only, and advice for shared ones."""
