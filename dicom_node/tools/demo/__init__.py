"""`echonode demo`: a study through a temporary node to a temporary PACS on this machine."""
