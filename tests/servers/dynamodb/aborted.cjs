// dynalite ends when a client closes a connection in the middle of a request. The service does not.
process.on('uncaughtException', (error) => {
  if (error.code === 'ECONNRESET') return
  console.error(error)
  process.exit(1)
})
