// Shows the first page, after all scripts are there.

chooseLanguage();
speakPlayer();
{
  const stored = storedSession();
  welcome(stored ?? newSession(), stored?.step > 0);
}
