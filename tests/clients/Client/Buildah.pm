package Client::Buildah;
use v5.36;
use parent 'Client::Podman';

sub name ($class)     { return 'buildah' }
sub programs ($class) { return 'buildah' }

sub load ($self, $archive) {
    $self->must('pull', '--policy', 'always', "docker-archive:$archive");
    return;
}

sub id_of ($self) { return '{{.FromImageID}}' }

# It has no search.
sub can ($class, $method) { return $method =~ /^(?:tags|catalog)$/ ? undef : $class->SUPER::can($method) }

# ---- with rules ----

sub always ($self) { return ('--policy', 'always') }

1;
