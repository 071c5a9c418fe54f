/** Another living instance serves this data folder; it was not disturbed. */
export class DataFolderInUse extends Error {
  /**
   * @param dataFolder The folder both wanted.
   * @param pid The process to look at: the instance that started the server, or the server itself when it was
   *   started by something else.
   */
  constructor(
    readonly dataFolder: string,
    readonly pid: number,
  ) {
    super(`the data folder ${dataFolder} is in use by another instance (process ${pid})`);
    this.name = 'DataFolderInUse';
  }
}
