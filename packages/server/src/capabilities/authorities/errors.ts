import { AppError, notFound } from '../../kernel/errors.js';

export const rootNotFound = () => notFound('Root');

export function rootIsRetired(): AppError {
  return new AppError('conflict', 'This root is retired: it signs nothing new');
}

export function rootHasEnded(): AppError {
  return new AppError('conflict', 'The certificate of this root has ended: it signs nothing new');
}

export function tooManyIssuing(max: number): AppError {
  return new AppError('conflict', `This root has ${max} issuing authorities that have not ended`);
}
