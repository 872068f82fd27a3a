"""Where does a pixel's gradient come from?"""
